"""Going through the log again, without Faust and without calling a vendor: at the speed of the log, partition by partition."""
