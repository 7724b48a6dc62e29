# The runtime's static and shared library.
#   make -f tinspect/native/scope/build.mk OUT=build/native all
#   SAN=address,undefined | thread   builds under a sanitizer (give it an OUT of its own)
OUT ?= build/native
SAN ?=
CC ?= cc
CXX ?= c++
NATIVE := tinspect/native
OPT ?= -O2
WARN := -Wall -Wextra -Wvla -Wmissing-prototypes -Wshadow
# -Wno-tsan: ThreadSanitizer does not model fences; all that ours order are atomics, which it accepts as they are.
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all -Wno-tsan)
# -fexceptions: a panic unwinds through these frames, and pthread_cleanup_push becomes an unwind cleanup.
CFLAGS_ALL := -std=gnu11 -D_GNU_SOURCE $(OPT) -g $(WARN) -fexceptions -fvisibility=hidden -fPIC -pthread $(SANFLAGS) $(CFLAGS)
INCLUDE := -I$(NATIVE)/include -I$(NATIVE)/scope
SOURCES := $(wildcard $(NATIVE)/scope/*.c)
OBJECTS := $(SOURCES:$(NATIVE)/scope/%.c=$(OUT)/scope/%.o)

.PHONY: all
all: $(OUT)/libtinspect.a $(OUT)/libtinspect.so $(OUT)/tinspect.pc

$(OUT)/scope/%.o: $(NATIVE)/scope/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $(INCLUDE) -MMD -MP -c $< -o $@

$(OUT)/libtinspect.a: $(OBJECTS)
	@rm -f $@
	$(AR) rcs $@ $(OBJECTS)

# nodelete: thread-local destructors and the signal handler outlive a dlclose.
$(OUT)/libtinspect.so: $(OBJECTS)
	$(CC) -shared -pthread $(SANFLAGS) -Wl,-z,nodelete -Wl,-soname,libtinspect.so -o $@ $(OBJECTS)

# Relocatable: everything is found from where the file itself lies. PC_INCLUDE: the headers, as seen from there.
PC_INCLUDE ?= $(shell realpath -m --relative-to=$(OUT) $(NATIVE)/include)
version = $(shell sed -n 's/^#define TI_VERSION_$(1) \([0-9]*\)u$$/\1/p' $(NATIVE)/include/tinspect/base.h)
$(OUT)/tinspect.pc: $(NATIVE)/scope/tinspect.pc.in $(NATIVE)/include/tinspect/base.h $(NATIVE)/scope/build.mk
	@mkdir -p $(@D)
	sed -e 's|@INCLUDE@|$(PC_INCLUDE)|' -e 's|@VERSION@|$(call version,MAJOR).$(call version,MINOR)|' $< > $@

# The demo keeps its frames: what it tells about itself is about them.
.PHONY: demo
demo: $(OUT)/tinspect-demo
$(OUT)/tinspect-demo: $(NATIVE)/demo/demo.c $(OUT)/libtinspect.a
	$(CC) $(CFLAGS_ALL) -O1 -fno-omit-frame-pointer $(INCLUDE) $< $(OUT)/libtinspect.a -o $@

-include $(OBJECTS:.o=.d)
