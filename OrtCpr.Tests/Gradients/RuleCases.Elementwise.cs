namespace OrtCpr.Tests.Gradients;

internal static partial class RuleCases
{
    private static RuleCase[] Arithmetic =>
    [
        Case("Add", [X(2, 3), X(3)]),
        Case("Sub", [X(2, 1, 3), X(4, 1)]),
        Case("Mul", [X(2, 3), X(1)]),
        Case("Div", [X(2, 3), Between(0.5, 2, 2, 1)]),
        Case("Sum", [X(2, 3), X(3), X(2, 1)]),
        Case("Mean", [X(2, 3), X(3), X(2, 1)]),
        Case("Max", [X(2, 3), Between(-1, 3, 3), Between(-3, 1, 2, 1)]),
        Case("Min", [X(2, 3), Between(-1, 3, 3), Between(-3, 1, 2, 1)]),
        Case("Max", X(2, 3)),
        Case("Neg", X(2, 3)),
        Case("Abs", X(2, 3)),
        Case("Reciprocal", Between(0.5, 2, 2, 3)),
        Case("Sqrt", Between(0.5, 2, 2, 3)),
        Case("Exp", X(2, 3)),
        Case("Log", Between(0.5, 2, 2, 3)),
        Case("Pow", [Between(0.5, 2, 2, 3), X(3)]),
        Case("Pow", [X(2, 3), Fixed(Exactly([], 3))]),
        Case("Pow", [Between(0.5, 2, 2, 3), Fixed(Exactly([3], 0, 2, -1.5))]),
        Case("Erf", X(2, 3)),
        Case("Sin", X(2, 3)),
        Case("Cos", X(2, 3)),
        Case("Tan", Between(-1, 1, 2, 3)),
        Case("Sinh", X(2, 3)),
        Case("Cosh", X(2, 3)),
        Case("Asin", Between(-0.8, 0.8, 2, 3)),
        Case("Acos", Between(-0.8, 0.8, 2, 3)),
        Case("Atan", X(2, 3)),
        Case("Asinh", X(2, 3)),
        Case("Acosh", Between(1.5, 3, 2, 3)),
        Case("Atanh", Between(-0.8, 0.8, 2, 3)),
        Case("Identity", X(2, 3)),
        Case("Cast", X(2, 3), ("to", 1)) with { FloatOnly = true },
        Case("CastLike", [X(2, 3), Fed(X(1))]),
        Case("Where", [Bools([2, 1], 1, 0), X(2, 3), X(3)]),
        Case("Clip", [X(2, 3), Exactly([], -0.7), Exactly([], 1.1)]),
        Case("Clip", [X(2, 3), null, Exactly([], 0.4)]),
    ];

    private static RuleCase[] Activations =>
    [
        Case("Relu", X(2, 3)),
        Case("Sigmoid", X(2, 3)),
        Case("Tanh", X(2, 3)),
        Case("Softmax", X(2, 3, 4), ("axis", 1)),
        Case("Softmax", X(2, 3, 4)) with { Opset = 11 },
        Case("LogSoftmax", X(2, 3, 4), ("axis", -1)),
        Case("LeakyRelu", X(2, 3), ("alpha", 0.2f)),
        Case("Softplus", X(2, 3)),
        Case("Gelu", X(2, 3)) with { Opset = 20 },
        Case("Gelu", X(2, 3), ("approximate", "tanh")) with { Opset = 20 },
        Case("com.microsoft.Gelu", X(2, 3)),
        Case("com.microsoft.FastGelu", [X(2, 3), X(3)]),
        Case("com.microsoft.BiasGelu", [X(2, 3), X(3)]),
        Case("com.microsoft.QuickGelu", X(2, 3), ("alpha", 1.3f)),
        Case("Dropout", X(2, 3)),
    ];
}
