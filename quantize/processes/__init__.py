"""Child processes: started, bounded in time and memory, talked to, and always ended."""
