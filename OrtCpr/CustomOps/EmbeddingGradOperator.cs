using OrtCpr.Graph.Operators;
using OrtCpr.Kernels;

namespace OrtCpr.CustomOps;

/// <summary>The gradient of rows that are picked from a table.</summary>
internal sealed unsafe class EmbeddingGradOperator(OperatorDefinition definition) : OperatorKernel(definition)
{
    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> table = context.In<float>("table");
        InputTensor<long> indices = context.In<long>("indices");
        (nint rows, nint width) = Sizes(Name, table);
        float* dy = context.Like("dy", indices.Length * width);
        for (nint i = 0; i < indices.Length; i++)
        {
            if (indices.Data[i] < -rows || indices.Data[i] >= rows)
                throw new OperandException($"{Name}: index {indices.Data[i]} at place {i} is outside of the table, which has {rows} rows.");
        }
        EmbeddingGradKernel.Run(indices.Data, indices.Length, dy, context.Out("gradient", table.Shape), rows, width, context.Threads);
    }

    /// <summary>A table as rows of its first axis.</summary>
    internal static (nint Rows, nint Width) Sizes(string name, in InputTensor<float> table)
    {
        if (table.Shape.Length == 0)
            throw new OperandException($"{name}: 'table' is a scalar, expected rank 1 or more.");
        nint rows = (nint)table.Shape[0], width = 1;
        foreach (long size in table.Shape[1..])
            width *= (nint)size;
        return (rows, width);
    }
}
