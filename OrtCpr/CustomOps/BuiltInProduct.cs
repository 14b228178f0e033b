using OrtCpr.Kernels;

namespace OrtCpr.CustomOps;

/// <summary>ORT's own matrix product for kernels, several of one size at a time: com.microsoft.FusedMatMul, which takes
/// either operand transposed.</summary>
internal static unsafe class BuiltInProduct
{
    /// <summary>For a kernel that is being made.</summary>
    /// <param name="info">OrtKernelInfo of the kernel.</param>
    /// <param name="form">How the operands lie.</param>
    /// <returns>An operator, for <see cref="BuiltInOperator.Release"/>.</returns>
    public static nint Create(nint info, ProductForm form) => BuiltInOperator.Create(info, "com.microsoft", "FusedMatMul", 1, 2,
    [
        new("transA", form == ProductForm.FirstTransposed ? 1L : 0L),
        new("transB", form == ProductForm.SecondTransposed ? 1L : 0L),
        new("transBatchA", 0L),
        new("transBatchB", 0L),
        new("alpha", 1f),
    ]);

    /// <summary>What a <see cref="MatrixProduct"/> of a running kernel needs.</summary>
    internal struct Call
    {
        public nint Product;
        public nint Context;
        public ProductForm Form;
    }

    /// <summary>See <see cref="MatrixProduct"/>; <paramref name="call"/> is a <see cref="Call"/>.</summary>
    public static void Run(void* call, float* a, float* b, float* y, nint m, nint n, nint k, nint count)
    {
        Call* running = (Call*)call;
        nint* inputs = stackalloc nint[2];
        nint output = 0;
        inputs[0] = inputs[1] = 0;
        try
        {
            inputs[0] = running->Form == ProductForm.FirstTransposed ? OrtNative.Wrap(a, [count, k, m]) : OrtNative.Wrap(a, [count, m, k]);
            inputs[1] = running->Form == ProductForm.SecondTransposed ? OrtNative.Wrap(b, [count, n, k]) : OrtNative.Wrap(b, [count, k, n]);
            output = OrtNative.Wrap(y, [count, m, n]);
            BuiltInOperator.Invoke(running->Context, running->Product, inputs, 2, output);
        }
        finally
        {
            OrtNative.ReleaseValue(inputs[0]);
            OrtNative.ReleaseValue(inputs[1]);
            OrtNative.ReleaseValue(output);
        }
    }
}
