"""Talk to voice models in a notebook, see every event, and measure what the ear really got."""
