/* The network, for any processor. */

#include "network.h"

const int hac_panel = PANEL, hac_stretch = STRETCH, hac_most = MOST;

size hac_outcome(const layer *layers, size count, size floats)
{
    for (const layer *l = layers; l < layers + count; l++)
        floats = outcome(l, floats);
    return floats;
}

int hac_run(const layer *layers, size count, float *states, const float *x, size floats, float *y)
{
    return run_all(layers, count, states, x, floats, y);
}
