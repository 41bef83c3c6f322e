"""What a seeker wants now: one dense vector of the latest applications, saves and dismissals."""
