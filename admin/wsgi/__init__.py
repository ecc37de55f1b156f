"""The HTTP server of the admin API: waitress, with bounds for clients that take their time."""
