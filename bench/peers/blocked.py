# Answers AAAA below the blocked suffixes: NODATA with an SOA. One set look-up for
# each label of the name, however many suffixes there are.
BLOCKED = { {{- range .Rules.Blocked}}
    "{{.}}.",{{end}}
}


def init(id, cfg):
    return True


def deinit(id):
    return True


def inform_super(id, qstate, superqstate, qdata):
    return True


def is_blocked(name):
    while name:
        if name in BLOCKED:
            return True
        name = name.partition(".")[2]
    return False


def operate(id, event, qstate, qdata):
    if event == MODULE_EVENT_MODDONE:
        qstate.ext_state[id] = MODULE_FINISHED
        return True
    if event not in (MODULE_EVENT_NEW, MODULE_EVENT_PASS):
        qstate.ext_state[id] = MODULE_ERROR
        return True
    question = qstate.qinfo
    if question.qtype != RR_TYPE_AAAA or not is_blocked(question.qname_str.lower()):
        qstate.ext_state[id] = MODULE_WAIT_MODULE
        return True
    message = DNSMessage(question.qname_str, RR_TYPE_AAAA, RR_CLASS_IN, PKT_QR | PKT_RA)
    message.authority.append("{{.Origin}}. 60 IN SOA localhost. nobody.invalid. 1 3600 1200 604800 60")
    if not message.set_return_msg(qstate):
        qstate.ext_state[id] = MODULE_ERROR
        return True
    qstate.return_msg.rep.security = 2  # needs no validation
    qstate.return_rcode = RCODE_NOERROR
    qstate.ext_state[id] = MODULE_FINISHED
    return True
