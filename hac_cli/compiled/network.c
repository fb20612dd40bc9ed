/* The network, for any processor. */

#define RUN hac_run
#define BACK hac_back
#define SLOPE_BACK hac_slope_back
#include "network.h"

const int hac_panel = PANEL, hac_stretch = STRETCH, hac_most = MOST;

size hac_outcome(const layer *layers, size count, size floats)
{
    for (const layer *l = layers; l < layers + count; l++)
        floats = outcome(l, floats);
    return floats;
}
