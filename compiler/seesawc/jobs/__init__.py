"""What a spec compiles to -> jobs of SLURM, and how far their runs are."""
