"""What the server keeps: the interface that the service talks to, and its implementation over SQLite."""
