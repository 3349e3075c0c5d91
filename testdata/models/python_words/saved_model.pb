š
Ğ 
Y
AddN
inputs"T*N
sum"T"
Nint(0"#
Ttype:
2	€
C
Placeholder
output"dtype"
dtypetype"
shapeshape:"serve*2.21.02v2.21.0-rc1-5-ga481b10260d8
`
classPlaceholder*#
_output_shapes
:ÿÿÿÿÿÿÿÿÿ*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
_
fromPlaceholder*#
_output_shapes
:ÿÿÿÿÿÿÿÿÿ*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
_
selfPlaceholder*#
_output_shapes
:ÿÿÿÿÿÿÿÿÿ*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
V
AddNAddNclassfromself*
N*
T0*#
_output_shapes
:ÿÿÿÿÿÿÿÿÿ"ª*À
serving_default¬
#
class
class:0ÿÿÿÿÿÿÿÿÿ
!
from
from:0ÿÿÿÿÿÿÿÿÿ
!
self
self:0ÿÿÿÿÿÿÿÿÿ#
lambda
AddN:0ÿÿÿÿÿÿÿÿÿtensorflow/serving/predict