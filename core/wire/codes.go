package wire

// RR types the code tells apart (IANA DNS parameters).
const (
	TypeA          uint16 = 1
	TypeNS         uint16 = 2
	TypeCNAME      uint16 = 5
	TypeSOA        uint16 = 6
	TypePTR        uint16 = 12
	TypeHINFO      uint16 = 13
	TypeMX         uint16 = 15
	TypeTXT        uint16 = 16
	TypeAAAA       uint16 = 28
	TypeSRV        uint16 = 33
	TypeDNAME      uint16 = 39
	TypeOPT        uint16 = 41
	TypeDS         uint16 = 43
	TypeRRSIG      uint16 = 46
	TypeNSEC       uint16 = 47
	TypeDNSKEY     uint16 = 48
	TypeNSEC3      uint16 = 50
	TypeNSEC3PARAM uint16 = 51
	TypeSVCB       uint16 = 64
	TypeHTTPS      uint16 = 65
	TypeTSIG       uint16 = 250
	TypeIXFR       uint16 = 251
	TypeAXFR       uint16 = 252
	TypeANY        uint16 = 255
)

// Classes.
const (
	ClassIN  uint16 = 1
	ClassCH  uint16 = 3
	ClassANY uint16 = 255
)

// Response codes; those above 15 need EDNS.
const (
	RcodeSuccess   = 0
	RcodeFormErr   = 1
	RcodeServFail  = 2
	RcodeNXDomain  = 3
	RcodeNotImp    = 4
	RcodeRefused   = 5
	RcodeYXDomain  = 6
	RcodeBadVers   = 16
	RcodeBadCookie = 23 // RFC 7873 §8
)

// Header bits, as they stand in the second 16-bit word of the header.
const (
	FlagQR uint16 = 1 << 15
	FlagAA uint16 = 1 << 10
	FlagTC uint16 = 1 << 9
	FlagRD uint16 = 1 << 8
	FlagRA uint16 = 1 << 7
	FlagAD uint16 = 1 << 5
	FlagCD uint16 = 1 << 4

	opcodeMask uint16 = 0xf << 11
	rcodeMask  uint16 = 0xf
)

// Extended DNS error codes (RFC 8914 §4).
const (
	EDEOther            uint16 = 0
	EDEStaleAnswer      uint16 = 3
	EDEForgedAnswer     uint16 = 4
	EDEBogus            uint16 = 6
	EDENSECMissing      uint16 = 12
	EDENotReady         uint16 = 14
	EDEBlocked          uint16 = 15
	EDEFiltered         uint16 = 17
	EDEProhibited       uint16 = 18
	EDEStaleNXDomain    uint16 = 19
	EDENotAuthoritative uint16 = 20
	EDENotSupported     uint16 = 21
	EDENoReachableAuth  uint16 = 22
	EDENetworkError     uint16 = 23
	EDENone             uint16 = 0xffff // ours: no EDE option in the reply
	optionEDE           uint16 = 15
	OptionECS           uint16 = 8
	OptionCookie        uint16 = 10
	OptionPadding       uint16 = 12
	ednsDO              uint16 = 1 << 15
	optFixed                   = 11 // an OPT record without options
	HeaderLen                  = 12
	MaxName                    = 255
	MaxLabels                  = 127 // without the root
	MaxMessage                 = 65535
	MinUDP                     = 512
	DefaultUDP                 = 1232 // fits an IPv6 minimum MTU of 1280
)
