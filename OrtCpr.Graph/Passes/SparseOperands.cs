using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Graph.Passes;

/// <summary>SparseToDenseMatMul with a sparse matrix from the file becomes Gemm, whose attributes are the same. ONNX
/// Runtime reads every sparse initializer and sparse Constant as a dense tensor and then refuses the operator for the
/// type of its operand; it runs only on sparse tensors that are fed, and those stay.</summary>
internal static class SparseOperands
{
    public const string Operator = "SparseToDenseMatMul";

    /// <summary>A matrix of the file is a constant of the program: trained as a dense one it would not fit
    /// back.</summary>
    public static void Run(OnnxGraph graph)
    {
        foreach (Node node in graph.Nodes)
        {
            foreach (OnnxGraph body in node.Subgraphs) Run(body);
            if (node.QualifiedType != $"com.microsoft.{Operator}" || node.In(0) is not Value matrix) continue;
            if (matrix.IsInitializer)
            {
                (node.Domain, node.OpType) = ("", "Gemm");
                matrix.Place = null;
            }
            else
            {
                HideShape(matrix);
            }
        }
    }

    /// <summary>ONNX Runtime infers the product without its transpositions, and refuses shapes that fit with them. Ours
    /// knows the shape all the same.</summary>
    private static void HideShape(Value matrix)
    {
        if (matrix.Origin is not ValueInfoProto { Type.SparseTensorType.Shape: not null } declared) return;
        ValueInfoProto loose = declared.Clone();
        loose.Type.SparseTensorType.Shape = null;
        matrix.Origin = loose;
    }
}
