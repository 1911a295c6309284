/* henge ctl COMMAND: the operators' tool. */
#ifndef HG_ROLE_CTL_H
#define HG_ROLE_CTL_H

int hg_ctl_main(int argc, char **argv);

#endif
