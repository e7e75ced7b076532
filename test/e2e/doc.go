// Package e2e holds the program to its promises from the outside: it starts the real binary as a process, talks to it as
// any client does, and kills it at the worst moments.
//
// Three ideas:
//
//   - What a test watches must itself survive. Functions of the crash tests write their effects through the platform
//     (a log stream per run, made durable before they answer), because log lines are written behind the function: an event
//     may be settled although the crash took its lines. So an event that is settled has left its effect, and one that left
//     none is still in the queue.
//   - Random moments come from a seed that is printed; ROUSE_SEED repeats a run. ROUSE_SOAK=1 makes the loops long.
//   - What a node owns carries its name (pid, start time and pid namespace): after each kill the next start must have left
//     nothing of that name, and none of the processes that were below it.
//
// The binary is built for the run, or named by ROUSE_BIN. Tests that need root skip without it and fail when CI is set.
package e2e
