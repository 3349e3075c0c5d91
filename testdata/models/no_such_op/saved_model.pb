å
¼Œ
C
Placeholder
output"dtype"
dtypetype"
shapeshape:
E
Relu
features"T
activations"T"
Ttype:
2	"serve*2.21.02v2.21.0-rc1-5-ga481b10260d8±
\
xPlaceholder*#
_output_shapes
:ÿÿÿÿÿÿÿÿÿ*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
L
activateFancyActivationx*
T0*#
_output_shapes
:ÿÿÿÿÿÿÿÿÿ"ª*p
serving_default]

x
x:0ÿÿÿÿÿÿÿÿÿ"
y

activate:0ÿÿÿÿÿÿÿÿÿtensorflow/serving/predict