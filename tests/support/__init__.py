"""What tests share: a sealed repository, programs that stand in for peers, and what holds a ledger to its rules."""
