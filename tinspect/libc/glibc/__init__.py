"""What glibc (2.31 to 2.43, dynamic and static) knows about its threads."""
