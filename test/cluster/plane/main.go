// The test control plane as one program: etcd, the API server, the controller manager and kubectl of one Kubernetes release, linked
// once, because four programs that share most of their code would take four times the link and the disk.
//
// The word is either the first argument (plane kube-apiserver --...) or the name the program was started by, so that a link named
// kubectl is kubectl.
package main

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"          // --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // counts of the controllers' own requests
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

var commands = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllers.NewControllerManagerCommand,
	"kubectl":                 kubectl.NewDefaultKubectlCommand,
}

func known(word string) bool { return word == "etcd" || commands[word] != nil }

func main() {
	os.Args[0] = filepath.Base(os.Args[0])
	if !known(os.Args[0]) && len(os.Args) > 1 {
		os.Args = os.Args[1:]
	}
	switch {
	case os.Args[0] == "etcd":
		etcdmain.Main(os.Args)
	case known(os.Args[0]):
		os.Exit(cli.Run(commands[os.Args[0]]()))
	default:
		os.Stderr.WriteString("usage: plane etcd|kube-apiserver|kube-controller-manager|kubectl ARGUMENTS\n")
		os.Exit(2)
	}
}
