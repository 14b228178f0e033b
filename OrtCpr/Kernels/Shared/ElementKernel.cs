using System.Numerics;

namespace OrtCpr.Kernels;

/// <summary>A formula over whole tensors.</summary>
/// <remarks>A lane is an element. Each input is read and the result written once, 4 bytes an element each, in one loop
/// without temporaries; the last vector of a chunk that is not full goes through the stack. The result may be either
/// input's memory.</remarks>
internal static unsafe class ElementKernel
{
    /// <summary>Computes the whole tensor; <paramref name="second"/> is not read where the formula has none.</summary>
    public static void Run<TFormula>(float* first, float* second, float* result, nint length, ParallelLoop loop)
        where TFormula : struct, IElementFormula
    {
        Work work = new() { First = first, Second = second, Result = result, Length = length };
        loop.Run(&Chunk<TFormula>, &work, Chunks.Count(length));
    }

    private static void Chunk<TFormula>(void* state, nint chunk)
        where TFormula : struct, IElementFormula
    {
        Work* work = (Work*)state;
        nint start = chunk * Chunks.Length, length = Chunks.LengthOf(chunk, work->Length), lanes = Vector<float>.Count, i = 0;
        float* first = work->First + start, second = work->Second + start, result = work->Result + start;
        for (; i <= length - lanes; i += lanes)
            TFormula.Of(Vector.Load(first + i), TFormula.HasSecond ? Vector.Load(second + i) : default).Store(result + i);
        if (i < length)
        {
            VectorMath.StoreSome(
                TFormula.Of(VectorMath.LoadSome(first + i, length - i), TFormula.HasSecond ? VectorMath.LoadSome(second + i, length - i)
                    : default), result + i, length - i);
        }
    }

    private struct Work
    {
        public float* First;
        public float* Second;
        public float* Result;
        public nint Length;
    }
}
