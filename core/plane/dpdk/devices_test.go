//go:build dpdk

package dpdk

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestDeviceArguments(t *testing.T) {
	got := devices([]string{
		"--no-pci", "--vdev=net_af_xdp0,iface=eth1,start_queue=0", "--vdev", "net_tap0,iface=dtap5", "-a", "3b:00.1", "-a0000:3b:00.2,arg=1",
		"--allow=0000:3b:00.3", "--vdev-like", "--vdev=net_memif0,role=server,socket=/run/m,socket-abstract=no",
		"--vdev=net_memif1,role=client,socket=/run/m,socket-abstract=no", "--vdev=net_memif2,role=server,socket=/run/m", "--vdev",
	})
	want := []named{
		{name: "net_af_xdp0", iface: "eth1"}, {name: "net_tap0"}, {name: "0000:3b:00.1", pci: true}, {name: "0000:3b:00.2", pci: true},
		{name: "0000:3b:00.3", pci: true}, {name: "net_memif0", listens: "/run/m"}, {name: "net_memif1", connects: true}, {name: "net_memif2"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
	for args, want := range map[string]string{
		"--no-pci --vdev=net_af_xdp0,iface=eth1 --vdev=net_af_xdp1,iface=eth2": "",
		"--vdev=net_tap0,iface=a --vdev=net_tap1,iface=a":                      "",
		"--log-level=lib.eal:debug --legacy-mem":                               "",
		"--vdev=net_tap0 --vdev net_tap0,iface=b":                              "names device net_tap0 twice",
		"-a 3b:00.1 --allow=0000:3b:00.1":                                      "names device 0000:3b:00.1 twice",
		"--vdev=net_af_xdp0,iface=eth1 --vdev=net_af_packet0,iface=eth1":       "names interface eth1 twice, for net_af_xdp0 and net_af_packet0",
		"--lcores=0@1":          `dpdk.eal has "--lcores=0@1": which CPUs poll is said by dpdk.lcores`,
		"-l 1":                  `dpdk.eal has "-l"`,
		"-c3":                   `dpdk.eal has "-c3"`,
		"--main-lcore 1":        `dpdk.eal has "--main-lcore"`,
		"--proc-type=primary":   "",
		"--proc-type=secondary": `dpdk.eal has "--proc-type=secondary": DPDK would wait for another process`,
		"--proc-type auto":      `dpdk.eal has "--proc-type"`,
	} {
		err := checkDevices(strings.Fields(args))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", args, err)
		}
	}
}

// TestCardTrouble: what is said of a card that DPDK has not.
func TestCardTrouble(t *testing.T) {
	cards := t.TempDir()
	for name, driver := range map[string]string{"0000:01:00.0": "ixgbe", "0000:02:00.0": "vfio-pci", "0000:03:00.0": ""} {
		card := filepath.Join(cards, name)
		if err := os.Mkdir(card, 0o700); err != nil {
			t.Fatal(err)
		}
		if driver != "" {
			if err := os.Symlink("../../drivers/"+driver, filepath.Join(card, "driver")); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, want := range map[string]string{
		"0000:01:00.0": "it is bound to the kernel's driver ixgbe: dpdk-devbind.py -b vfio-pci 0000:01:00.0",
		"0000:02:00.0": "it is bound to vfio-pci, but DPDK has no driver for it",
		"0000:03:00.0": "it is bound to no driver",
		"0000:04:00.0": "there is no such PCI device",
	} {
		if got := (named{name: name, pci: true}).troublePCI(cards); !strings.Contains(got, want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}
