# Test programs: every tests/programs/NAME.c becomes build/programs/NAME. Run from the top of the tree.
PROGRAM_SOURCES := $(wildcard tests/programs/*.c)
PROGRAMS := $(PROGRAM_SOURCES:tests/programs/%.c=build/programs/%)
PROGRAM_CFLAGS := -std=gnu11 -g -O1 -Wall -Wextra -fno-omit-frame-pointer -pthread

.PHONY: programs
programs: $(PROGRAMS)

# Moved into place when complete: several test processes may build the same program at once.
build/programs/%: tests/programs/%.c $(wildcard tests/programs/*.h)
	@mkdir -p $(@D)
	$(CC) $(PROGRAM_CFLAGS) $< -o $@.$$$$ && mv $@.$$$$ $@
