"""Contacts: their model, vCard in and out, views of what they hold, and the planning of imports. Pure throughout."""
