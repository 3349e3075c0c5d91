ñ
à
˜
NcclAllReduce

input"T	
data"T",
	reductionstring:
minmaxprodsum"
Ttype:	
2	"
num_devicesint"
shared_namestringˆ
C
Placeholder
output"dtype"
dtypetype"
shapeshape:"serve*2.21.02v2.21.0-rc1-5-ga481b10260d8ë
\
xPlaceholder*#
_output_shapes
:ÿÿÿÿÿÿÿÿÿ*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
…
reduceNcclAllReducex*
T0*#
_output_shapes
:ÿÿÿÿÿÿÿÿÿ*
num_devices*
	reductionsum*
shared_nameone"ª*n
serving_default[

x
x:0ÿÿÿÿÿÿÿÿÿ 
y
reduce:0ÿÿÿÿÿÿÿÿÿtensorflow/serving/predict