"""Faults for your own tests: `realtime_nb.connect(faults=Faults(cut_mid_delta=3))`."""

from realtime_nb.transport.faults import Faults, FaultyNetwork, FaultyTransport
from realtime_nb.transport.network import NETWORKS, NetworkProfile

__all__ = ["NETWORKS", "Faults", "FaultyNetwork", "FaultyTransport", "NetworkProfile"]
