package iampolicy

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Condition is one that a statement makes: a key of the request, compared with
// values, of which one is enough.
type Condition struct {
	Operator string // "StringEquals", "ForAnyValue:StringLike", "BoolIfExists", ...
	Key      string // "aws:SourceAccount"
	Values   []string
}

// String is the condition in one line, as in "aws:SourceIp IpAddress 192.0.2.0/24".
func (c Condition) String() string {
	return c.Key + " " + c.Operator + " " + strings.Join(c.Values, ", ")
}

// Known is what is known of a request, by condition key in lower case. Of a key
// that is missing nothing is known.
type Known map[string]string

// At are requests of that time.
func At(now time.Time) Known {
	return Known{"aws:currenttime": now.UTC().Format(time.RFC3339), "aws:epochtime": strconv.FormatInt(now.Unix(), 10)}
}

// truth is an answer that may be missing.
type truth int

const (
	unknown truth = iota
	no
	yes
)

func truthOf(is bool) truth {
	if is {
		return yes
	}
	return no
}

// met tells whether a condition is met by what is known.
func (c Condition) met(known Known) truth {
	value, told := known[strings.ToLower(c.Key)]
	if !told || strings.Contains(c.Operator, ":") || len(c.Values) == 0 {
		return unknown // "ForAllValues:" and the like need all values of a key
	}
	compare, negated, understood := comparison(strings.TrimSuffix(c.Operator, "IfExists"))
	if !understood {
		return unknown
	}
	answer := no
	for _, wanted := range c.Values {
		switch compare(value, wanted) {
		case yes:
			return truthOf(!negated)
		case unknown:
			answer = unknown
		}
	}
	if answer == unknown {
		return unknown
	}
	return truthOf(negated)
}

// comparison is what an operator does with the value of a request and one that
// is wanted.
func comparison(operator string) (compare func(value, wanted string) truth, negated, understood bool) {
	fixed := func(equal func(value, wanted string) bool) func(string, string) truth {
		return func(value, wanted string) truth {
			if strings.Contains(wanted, "${") {
				return unknown
			}
			return truthOf(equal(value, wanted))
		}
	}
	times := func(holds func(order int) bool) func(string, string) truth {
		return func(value, wanted string) truth {
			is, err := when(value)
			limit, err2 := when(wanted)
			if err != nil || err2 != nil {
				return unknown
			}
			return truthOf(holds(is.Compare(limit)))
		}
	}
	equal := fixed(func(value, wanted string) bool { return value == wanted })
	like := fixed(func(value, wanted string) bool { return Covers(wanted, value) })
	fold := fixed(strings.EqualFold)
	switch operator {
	case "StringEquals":
		return equal, false, true
	case "StringNotEquals":
		return equal, true, true
	case "StringLike", "ArnEquals", "ArnLike":
		return like, false, true
	case "StringNotLike", "ArnNotEquals", "ArnNotLike":
		return like, true, true
	case "StringEqualsIgnoreCase", "Bool":
		return fold, false, true
	case "StringNotEqualsIgnoreCase":
		return fold, true, true
	case "DateEquals":
		return times(func(order int) bool { return order == 0 }), false, true
	case "DateNotEquals":
		return times(func(order int) bool { return order == 0 }), true, true
	case "DateLessThan":
		return times(func(order int) bool { return order < 0 }), false, true
	case "DateLessThanEquals":
		return times(func(order int) bool { return order <= 0 }), false, true
	case "DateGreaterThan":
		return times(func(order int) bool { return order > 0 }), false, true
	case "DateGreaterThanEquals":
		return times(func(order int) bool { return order >= 0 }), false, true
	}
	return nil, false, false
}

// when reads a time as IAM does: ISO 8601, in UTC, or seconds since 1970.
func when(text string) (time.Time, error) {
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil && len(text) > 4 {
		return time.Unix(seconds, 0), nil
	}
	var at time.Time
	var err error
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02T15Z07:00", "2006-01-02", "2006-01", "2006"} {
		if at, err = time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, err
}

// weigh asks all conditions of a statement. Of those that what is known does not
// answer, it tells which.
func (s Statement) weigh(known Known) (answer truth, open []Condition) {
	for _, c := range s.Conditions {
		switch c.met(known) {
		case no:
			return no, nil
		case unknown:
			open = append(open, c)
		}
	}
	if len(open) > 0 {
		return unknown, open
	}
	return yes, nil
}

// insists tells whether a condition lets only values through that the pattern
// stands for, and no request that lacks the key.
func (c Condition) insists(key, pattern string) bool {
	return strings.EqualFold(c.Key, key) && slices.Contains(positive, c.Operator) && len(c.Values) > 0 &&
		!slices.ContainsFunc(c.Values, func(v string) bool { return !Covers(pattern, v) })
}

// positive are the operators that demand a value of text.
var positive = []string{"StringEquals", "StringLike", "ArnEquals", "ArnLike"}

// Ends is when a condition on the time is over for good: zero where it does not
// say.
func (c Condition) Ends() time.Time {
	if !strings.EqualFold(c.Key, "aws:CurrentTime") && !strings.EqualFold(c.Key, "aws:EpochTime") || c.Operator != "DateLessThan" && c.Operator != "DateLessThanEquals" {
		return time.Time{}
	}
	var last time.Time
	for _, value := range c.Values {
		at, err := when(value)
		if err != nil {
			return time.Time{}
		}
		if at.After(last) {
			last = at
		}
	}
	return last
}
