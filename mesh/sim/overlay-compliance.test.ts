// The stand-in is worth what it is alike: the same cases on it and on the real router.
import { Libp2pOverlay } from "./libp2p-overlay.ts";
import { overlayCompliance } from "./overlay-compliance.ts";
import { VirtualOverlay } from "./virtual-overlay.ts";

overlayCompliance("the stand-in", () => Promise.resolve(new VirtualOverlay(1)));
overlayCompliance("gossipsub", () => Promise.resolve(new Libp2pOverlay()));
