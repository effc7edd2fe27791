"""Child processes: started, limited in time and memory, and always cleaned up."""
