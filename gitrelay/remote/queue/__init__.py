"""The queue of a remote: its jobs and their refs, who may ask, and the engines that hand jobs out."""
