"""Environments of every kind, behind one adapter that writes into rows."""
