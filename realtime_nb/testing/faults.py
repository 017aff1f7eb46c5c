"""Faults for your own tests: `realtime_nb.connect(faults=Faults(cut_mid_delta=3))`."""

from realtime_nb.transport.faults import Faults, FaultyNetwork, FaultyTransport

__all__ = ["Faults", "FaultyNetwork", "FaultyTransport"]
