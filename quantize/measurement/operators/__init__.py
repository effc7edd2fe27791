"""Where the time of a run goes, op by op."""
