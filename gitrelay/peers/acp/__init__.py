"""Agents that speak the Agent Client Protocol: one client for all of them."""
