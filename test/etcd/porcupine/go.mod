// The judge of histories: "is there an order of these calls in which every answer is right?"
module hanse/test/etcd/porcupine

go 1.24

require github.com/anishathalye/porcupine v1.3.1
