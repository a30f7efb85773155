// Judges histories of concurrent calls: is there one order of them, each between its start and its end, in which every
// answer is right? Reads one JSON document from standard input, prints one, and exits with 0 only for a good history.
//
// A call is a list of steps on keys of one object, done all or none, as a transaction is. What is not known to have
// happened has no end: it may come last, where nobody sees it.
package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// How long the search may take for all objects together.
const limit = 120 * time.Second

type step struct {
	// get, set, delete, cas (From is the value that must be there, "" for none), lock, unlock, end (of a session).
	Verb    string `json:"verb"`
	Key     string `json:"key"`
	From    string `json:"from"`
	Value   string `json:"value"`
	Session string `json:"session"`
}

type call struct {
	Object string   `json:"object"`
	Client int      `json:"client"`
	Call   int64    `json:"call"`
	Return int64    `json:"return"`
	Steps  []step   `json:"steps"`
	Ok     *bool    `json:"ok"`    // null: unknown
	Reads  []string `json:"reads"` // what the get steps found, in their order
}

type entry struct{ value, session string }

// A state is text, so that states can be compared: one "key\x00value\x00session" for each key that is there.
func decode(state string) map[string]entry {
	entries := map[string]entry{}
	for _, line := range strings.Split(state, "\x01") {
		if parts := strings.Split(line, "\x00"); len(parts) == 3 {
			entries[parts[0]] = entry{parts[1], parts[2]}
		}
	}
	return entries
}

func encode(entries map[string]entry) string {
	lines := make([]string, 0, len(entries))
	for key, e := range entries {
		if e.value != "" {
			lines = append(lines, key+"\x00"+e.value+"\x00"+e.session)
		}
	}
	sort.Strings(lines)
	return strings.Join(lines, "\x01")
}

// What the steps answer in a state, and the state after them; not done at all if one of them cannot be.
func run(state string, steps []step) (done bool, reads []string, after string) {
	entries := decode(state)
	for _, s := range steps {
		e := entries[s.Key]
		switch s.Verb {
		case "get":
			reads = append(reads, e.value)
		case "set":
			entries[s.Key] = entry{s.Value, e.session}
		case "delete":
			delete(entries, s.Key)
		case "cas":
			if e.value != s.From {
				return false, nil, state
			}
			entries[s.Key] = entry{s.Value, e.session}
		case "lock":
			if e.session != "" && e.session != s.Session {
				return false, nil, state
			}
			entries[s.Key] = entry{s.Value, s.Session}
		case "unlock":
			if e.session != s.Session {
				return false, nil, state
			}
			entries[s.Key] = entry{s.Value, ""}
		case "end":
			for key, held := range entries {
				if held.session == s.Session {
					entries[key] = entry{held.value, ""}
				}
			}
		default:
			panic("unknown verb " + s.Verb)
		}
	}
	return true, reads, encode(entries)
}

var model = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		c := output.(call)
		done, reads, after := run(state.(string), c.Steps)
		if c.Ok == nil {
			return true, after
		}
		if done != *c.Ok {
			return false, state
		}
		if done && strings.Join(reads, "\x00") != strings.Join(c.Reads, "\x00") {
			return false, state
		}
		return true, after
	},
	Equal: func(a, b any) bool { return a == b },
}

func main() {
	var calls []call
	if err := json.NewDecoder(os.Stdin).Decode(&calls); err != nil {
		fmt.Fprintln(os.Stderr, "not a history:", err)
		os.Exit(2)
	}
	objects := map[string][]porcupine.Operation{}
	for _, c := range calls {
		end := c.Return
		if c.Ok == nil {
			end = math.MaxInt64
		}
		objects[c.Object] = append(objects[c.Object], porcupine.Operation{
			ClientId: c.Client, Input: c.Steps, Output: c, Call: c.Call, Return: end,
		})
	}
	names := make([]string, 0, len(objects))
	for name := range objects {
		names = append(names, name)
	}
	sort.Strings(names)
	verdicts := map[string]string{}
	good := true
	until := time.Now().Add(limit)
	for _, name := range names {
		result := porcupine.CheckOperationsTimeout(model, objects[name], max(time.Until(until), time.Millisecond))
		verdicts[name] = strings.ToLower(string(result))
		good = good && result == porcupine.Ok
	}
	json.NewEncoder(os.Stdout).Encode(verdicts)
	if !good {
		os.Exit(1)
	}
}
