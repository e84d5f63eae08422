"""HTTP: one module for each resource; each has one function that adds its routes to an application."""
