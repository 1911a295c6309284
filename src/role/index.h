/* henge index SPEC.json: one batch task in this process, with its progress on the terminal. */
#ifndef HG_ROLE_INDEX_H
#define HG_ROLE_INDEX_H

int hg_index_main(int argc, char **argv);

#endif
