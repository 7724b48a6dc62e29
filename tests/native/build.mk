# The runtime's test programs: make -f tests/native/build.mk OUT=build/native-tests/plain [SAN=…] all
include tinspect/native/scope/build.mk

TEST_SOURCES := $(wildcard tests/native/test_*.c)
TEST_SOURCES_CXX := $(wildcard tests/native/test_*.cpp)
TESTS := $(TEST_SOURCES:tests/native/%.c=$(OUT)/%) $(TEST_SOURCES_CXX:tests/native/%.cpp=$(OUT)/%)
TEST_FLAGS := -g -O1 -Wall -Wextra -Werror=unused -fexceptions -pthread $(SANFLAGS) $(INCLUDE) -Itests/native -MMD -MP

# Its pthread_create stands between the runtime's and the system's.
$(OUT)/test_handed_handle: override TEST_LIBS += -Wl,--wrap=pthread_create

# Parts of the inspector.
TOUCHED := $(addprefix tinspect/native/inspect/,touched.c pages.c ranges.c)
$(OUT)/test_touched: $(TOUCHED)
$(OUT)/test_touched: override TEST_LIBS += -Itinspect/native/inspect $(TOUCHED)

.PHONY: tests
tests: $(TESTS)

# TSan's libraries do not know futexes, so programs link the archive: every access of the runtime is then instrumented.
$(OUT)/%: tests/native/%.c $(OUT)/libtinspect.a
	$(CC) -std=gnu11 -D_GNU_SOURCE $(TEST_FLAGS) $< $(OUT)/libtinspect.a $(TEST_LIBS) -o $@

$(OUT)/%: tests/native/%.cpp $(OUT)/libtinspect.a
	$(CXX) -std=c++17 $(TEST_FLAGS) $< $(OUT)/libtinspect.a -o $@

-include $(TESTS:=.d)
