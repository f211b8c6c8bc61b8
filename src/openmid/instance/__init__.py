"""The instance: the control plane. Records, ECC queue, actions, channel, pages."""
