"""What estimates and intervals rest on, and what the residuals say.

==========================================  =====================  ==============================================
question                                    answered by            by
==========================================  =====================  ==============================================
what do the data see?                       ``identifiability``    scaled sensitivities, Fisher information
do held constants matter, or ask for more?  ``held``               shifts of the estimates, score tests
are the residuals those of noise?           ``residuals``          quantile residuals, runs of one sign
how does the course miss the data?          ``course_errors``      Theil's proportions, phase, autocorrelation
is the calculation right?                   ``verification``       the same run in PySD, half the time step
what is all of it conditional on?           ``conditions``         one value and its sentences, for all pages
==========================================  =====================  ==============================================
"""
