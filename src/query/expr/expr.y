/* The grammar of expressions: Druid's, in which unary operators bind tightest and && and || alike. */
%define api.pure full
%define api.prefix {hg_xyy}
%define parse.error detailed
%locations
%define api.location.type {uint32_t}
%parse-param {void *scanner} {struct hg_xparse *ps}
%lex-param {void *scanner}

%code requires {
#include "query/expr/node.h"
}
%code provides {
#define YYSTYPE HG_XYYSTYPE
#define YYLTYPE HG_XYYLTYPE
}
%code {
#include "query/expr/expr_lex.h"
#define YYLLOC_DEFAULT(cur, rhs, n) ((cur) = YYRHSLOC(rhs, (n) ? 1 : 0))
#define NEED(x) do { if (!(x)) YYABORT; } while (0)
static void hg_xyyerror(const uint32_t *at, void *scanner, struct hg_xparse *ps, const char *msg)
{
    (void)scanner;
    if (ps->rc == HG_OK) hg_xp_fail(ps, *at, HG_E_INVALID, "%s", msg);
}
}
%union {
    const struct hg_xnode *node;
    struct hg_xlist *list;
    const char *name;
    struct hg_xval val;
    enum hg_xtype type;
    struct { uint32_t n, first; } lambda; /* parameters: so many, from this slot on */
}

%token END 0 "the end"
%token <name> IDENT "a name"
%token <val> NUMBER "a number" STRING "a string"
%token NULL_ "null"
%token <type> ARRAY_TYPE "an array type"
%token LAMBDA_OPEN "( of a lambda" ARROW "->"
%token LE "<=" GE ">=" EQ "==" NE "!=" AND "&&" OR "||"
%type <node> expr item
%type <list> args items some_items
%type <lambda> params lambda_head

%left AND OR
%left '<' LE '>' GE EQ NE
%left '+' '-'
%left '*' '/' '%'
%right '^'
%precedence UNARY

%%
start: expr END                        { ps->root = $1; };

expr:
      NULL_                            { NEED($$ = hg_xp_const(ps, @1, hg_x_null(HG_X_STRING))); }
    | NUMBER                           { NEED($$ = hg_xp_const(ps, @1, $1)); }
    | STRING                           { NEED($$ = hg_xp_const(ps, @1, $1)); }
    | IDENT                            { NEED($$ = hg_xp_ident(ps, @1, $1)); }
    | '-' expr %prec UNARY             { NEED($$ = hg_xp_unary(ps, @1, X_NEG, $2)); }
    | '!' expr %prec UNARY             { NEED($$ = hg_xp_unary(ps, @1, X_NOT, $2)); }
    | expr '^' expr                    { NEED($$ = hg_xp_binary(ps, @2, X_POW, $1, $3)); }
    | expr '*' expr                    { NEED($$ = hg_xp_binary(ps, @2, X_MUL, $1, $3)); }
    | expr '/' expr                    { NEED($$ = hg_xp_binary(ps, @2, X_DIV, $1, $3)); }
    | expr '%' expr                    { NEED($$ = hg_xp_binary(ps, @2, X_MOD, $1, $3)); }
    | expr '+' expr                    { NEED($$ = hg_xp_binary(ps, @2, X_ADD, $1, $3)); }
    | expr '-' expr                    { NEED($$ = hg_xp_binary(ps, @2, X_SUB, $1, $3)); }
    | expr '<' expr                    { NEED($$ = hg_xp_binary(ps, @2, X_LT, $1, $3)); }
    | expr LE expr                     { NEED($$ = hg_xp_binary(ps, @2, X_LE, $1, $3)); }
    | expr '>' expr                    { NEED($$ = hg_xp_binary(ps, @2, X_GT, $1, $3)); }
    | expr GE expr                     { NEED($$ = hg_xp_binary(ps, @2, X_GE, $1, $3)); }
    | expr EQ expr                     { NEED($$ = hg_xp_binary(ps, @2, X_EQ, $1, $3)); }
    | expr NE expr                     { NEED($$ = hg_xp_binary(ps, @2, X_NE, $1, $3)); }
    | expr AND expr                    { NEED($$ = hg_xp_binary(ps, @2, X_AND, $1, $3)); }
    | expr OR expr                     { NEED($$ = hg_xp_binary(ps, @2, X_OR, $1, $3)); }
    | '(' expr ')'                     { $$ = $2; }
    | IDENT '(' args ')'               { NEED($$ = hg_xp_call(ps, @1, $1, $3)); }
    | IDENT '(' ')'                    { struct hg_xlist *none; NEED(none = hg_xp_list(ps, NULL, NULL)); NEED($$ = hg_xp_call(ps, @1, $1, none)); }
    | IDENT '(' lambda_head expr[body] { hg_xp_leave(ps, $lambda_head.n); } ',' args ')'
                                       { NEED($$ = hg_xp_apply(ps, @1, $1, $3.first, $3.n, $body, $7)); }
    | '[' items ']'                    { NEED($$ = hg_xp_array(ps, @1, HG_X_NONE, $2)); }
    | ARRAY_TYPE '[' items ']'         { NEED($$ = hg_xp_array(ps, @1, $1, $3)); }
    ;

lambda_head:
      IDENT ARROW                      { $$.n = 1; $$.first = ps->n_locals; NEED(hg_xp_param(ps, $1)); }
    | LAMBDA_OPEN ')' ARROW            { $$.n = 0; $$.first = 0; }
    | LAMBDA_OPEN params ')' ARROW     { $$ = $2; }
    ;
params:
      IDENT                            { $$.n = 1; $$.first = ps->n_locals; NEED(hg_xp_param(ps, $1)); }
    | params ',' IDENT                 { $$.n = $1.n + 1; $$.first = $1.first; NEED(hg_xp_param(ps, $3)); }
    ;
args:
      expr                             { NEED($$ = hg_xp_list(ps, NULL, $1)); }
    | args ',' expr                    { NEED($$ = hg_xp_list(ps, $1, $3)); }
    ;
items:
      %empty                           { NEED($$ = hg_xp_list(ps, NULL, NULL)); }
    | some_items
    ;
some_items:
      item                             { NEED($$ = hg_xp_list(ps, NULL, $1)); }
    | some_items ',' item              { NEED($$ = hg_xp_list(ps, $1, $3)); }
    ;
item:
      NULL_                            { NEED($$ = hg_xp_const(ps, @1, hg_x_null(HG_X_STRING))); }
    | NUMBER                           { NEED($$ = hg_xp_const(ps, @1, $1)); }
    | '-' NUMBER                       { NEED($$ = hg_xp_const(ps, @1, $2)); NEED($$ = hg_xp_unary(ps, @1, X_NEG, $$)); }
    | STRING                           { NEED($$ = hg_xp_const(ps, @1, $1)); }
    ;
%%
