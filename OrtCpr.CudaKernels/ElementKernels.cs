using ILGPU;
using OrtCpr.Cuda;

namespace OrtCpr.CudaKernels;

/// <summary>Formulas element by element, named as their operators. 8 bytes an element, 12 with two inputs; the result may be the memory
/// of an input.</summary>
internal static unsafe class ElementKernels
{
    private const float GeluScale = 0.7978845608f, Cubic = 0.044715f;

    /// <summary>x·s, s = sigmoid(2u), u = √(2/π)(x + 0.044715x³).</summary>
    public static void GeluTanh(ElementOperands o)
    {
        for (long i = First; i < o.First.Count; i += Step)
        {
            float x = At(o.First, i);
            Set(o, i, x * Gate(x));
        }
    }

    /// <summary>dy·s·(1 + x·(1 − s)·2du/dx).</summary>
    public static void GeluTanhGrad(ElementOperands o)
    {
        for (long i = First; i < o.First.Count; i += Step)
        {
            float x = At(o.First, i), s = Gate(x), slope = x * ((x * x * (6 * GeluScale * Cubic)) + (2 * GeluScale));
            Set(o, i, At(o.Second, i) * s * ((slope * (1 - s)) + 1));
        }
    }

    /// <summary>x·Φ(x).</summary>
    public static void GeluErf(ElementOperands o)
    {
        for (long i = First; i < o.First.Count; i += Step)
        {
            float x = At(o.First, i);
            Set(o, i, x * Cumulative(x));
        }
    }

    /// <summary>dy·(Φ(x) + x·φ(x)).</summary>
    public static void GeluErfGrad(ElementOperands o)
    {
        for (long i = First; i < o.First.Count; i += Step)
        {
            float x = At(o.First, i);
            Set(o, i, At(o.Second, i) * (Cumulative(x) + (x * 0.39894228f * DeviceMath.Exp(-0.5f * x * x))));
        }
    }

    /// <summary>dy where y is above 0.</summary>
    public static void ReluGrad(ElementOperands o)
    {
        for (long i = First; i < o.First.Count; i += Step)
            Set(o, i, At(o.First, i) > 0 ? At(o.Second, i) : 0);
    }

    private static long First => (Grid.IdxX * (long)Group.DimX) + Group.IdxX;

    private static long Step => Grid.DimX * (long)Group.DimX;

    private static float At(Operand tensor, long i) => ((float*)tensor.Address)[i];

    private static void Set(ElementOperands o, long i, float value) => ((float*)o.Result.Address)[i] = value;

    private static float Gate(float x) =>
        1 / (1 + DeviceMath.Exp(-(x * ((x * x * (2 * GeluScale * Cubic)) + (2 * GeluScale)))));

    private static float Cumulative(float x) => (DeviceMath.Erf(x * 0.70710678f) * 0.5f) + 0.5f;
}
