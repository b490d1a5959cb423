import { Libp2pCluster } from "../sim/libp2p-cluster.ts";
import { settledCompliance } from "../sim/settled-compliance.ts";

settledCompliance("libp2p mesh", () => Libp2pCluster.create());
