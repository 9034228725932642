/* Networks that translate, as translator.c sees them: an encoder and one step of the decoder. */
#ifndef CLATTN_MODELS_TRANSLATOR_H
#define CLATTN_MODELS_TRANSLATOR_H

#include <clattn/model.h>

#include "layers.h"

/* What goes from the encoder through the decoder's steps. The first axis counts rows: sentences for the encoder,
 * hypotheses for the decoder. */
typedef struct clattn_decoding {
    clattn_tensor lengths;     /* [B] i32: tokens of the source */
    clattn_tensor mask;        /* [B,T] u8: true before the length */
    clattn_tensor annotations; /* [B,T,N], by the encoder */
    clattn_tensor projected;   /* what the network makes of them once, or none */
    clattn_tensor state;       /* [B,H]: the decoder's, moved on by each step */
    clattn_tensor fed;         /* [B,F]: what else a step hands to the next, or none */
} clattn_decoding;

typedef struct clattn_network {
    const char *name; /* "model" in the metadata of its weights */
    /* ids [B,T] with `lengths` and `mask` given: makes annotations, state and fed. */
    void (*encode)(clattn_layers *layers, clattn_tensor ids, clattn_decoding *decoding);
    /* Logits [B,V] from the previous words' ids (-1 before the first), and the attention weights [B,1,T]. */
    clattn_tensor (*step)(clattn_layers *layers, clattn_tensor previous_ids, clattn_decoding *decoding, clattn_tensor *weights);
} clattn_network;

extern const clattn_network clattn_network_rnnsearch, clattn_network_luong;

#endif
