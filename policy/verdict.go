package policy

// An Action is what becomes of a query.
type Action uint8

const (
	Pass     Action = iota // no rule objects: resolve it
	Answer                 // Reply writes the answer
	Rewrite                // an alias: Target is to be resolved and put behind it
	Refuse                 // REFUSED
	Drop                   // no reply
	Truncate               // an empty reply with TC: come again over TCP
)

var actionNames = [...]string{"pass", "answer", "rewrite", "refuse", "drop", "truncate"}

func (a Action) String() string { return actionNames[a] }

// A Verdict is what the rules say to one query. It is small enough to travel in
// registers and holds no reference: it can be kept beside the query, and given to
// Reply later together with it.
type Verdict struct {
	Action Action
	// AskA is set for a blocked AAAA that is answered NODATA. A caller that knows
	// that the name's A is NXDOMAIN may set Rcode to that: the name isn't there.
	AskA bool
	// Rcode of an Answer.
	Rcode uint8

	why // apart: the compiler keeps structs of up to four fields in registers
}

// A why is the rule that decided, and how its answer is made.
type why struct {
	form form
	apex uint8 // the label that the SOA's owner begins with
	rule int32 // 0: none
	set  int32 // of given data
}

// A form is how an answer is made.
type form uint8

const (
	formNone     form = iota
	formNegative      // SOA in the authority section
	formHidden        // the same, of what may exist
	formSOA           // SOA in the answer section
	formAddress       // A or AAAA from the name
	formPointer       // PTR from the name
	formData          // a given RRset
	formAlias         // CNAME to Target
	formBare          // nothing but the rcode
)

// A Kind names what sort of rule decided.
type Kind uint8

const (
	KindNone Kind = iota
	KindClient
	KindData
	KindTransparent
	KindStatic
	KindRefused
	KindIP
	KindReverse
	KindSite
	KindJunk
	KindAAAA

	Kinds = iota // how many there are
)

var kindNames = [...]string{"none", "client", "data", "transparent", "static", "refused",
	"synth-ip", "synth-ptr", "synth-site", "junk", "aaaa"}

func (k Kind) String() string { return kindNames[k] }
