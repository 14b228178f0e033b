using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Graph.Onnx;

/// <summary>A place of a model file that can be read and written.</summary>
internal abstract class FilePlace(string name, string where, bool isConstant = false) : TensorPlace(name, where, isConstant)
{
    public abstract ElementType Type { get; }

    public abstract IReadOnlyList<long> Dimensions { get; }

    public abstract TensorData Read(ModelFile file);

    /// <summary>Puts a value in the place of the old one; of the place's type and shape.</summary>
    public abstract void Write(TensorData value);
}

/// <summary>An initializer of a graph, or of a body.</summary>
internal sealed class InitializerPlace(string name, TensorProto tensor) : FilePlace(name, $"initializer '{tensor.Name}'")
{
    public override ElementType Type => (ElementType)tensor.DataType;

    public override IReadOnlyList<long> Dimensions => tensor.Dims;

    public override TensorData Read(ModelFile file) => file.Read(new TensorSite(tensor, Where));

    public override void Write(TensorData value) => TensorSerializer.SetData(tensor, value);
}

/// <summary>A sparse initializer; a new value is dense.</summary>
internal sealed class SparsePlace(string name, SparseTensorProto sparse, GraphProto graph)
    : FilePlace(name, $"sparse initializer '{sparse.Values.Name}'")
{
    public override ElementType Type => (ElementType)sparse.Values.DataType;

    public override IReadOnlyList<long> Dimensions => sparse.Dims;

    public override TensorData Read(ModelFile file) => SparseTensor.ToDense(file, sparse, Where);

    public override void Write(TensorData value)
    {
        graph.SparseInitializer.Remove(sparse);
        graph.Initializer.Add(TensorSerializer.Write(sparse.Values.Name, value));
    }
}

/// <summary>A Constant node with floating elements, in whichever attribute they are.</summary>
internal sealed class ConstantNodePlace(string name, NodeProto node, AttributeProto attribute)
    : FilePlace(name, $"Constant node '{ModelTensors.NameOf(node)}'", isConstant: true)
{
    public override ElementType Type => attribute.Name switch
    {
        "value" => (ElementType)attribute.T.DataType,
        "sparse_value" => (ElementType)attribute.SparseTensor.Values.DataType,
        _ => ElementType.Float,
    };

    public override IReadOnlyList<long> Dimensions => attribute.Name switch
    {
        "value" => attribute.T.Dims,
        "sparse_value" => attribute.SparseTensor.Dims,
        "value_floats" => [attribute.Floats.Count],
        _ => [],
    };

    public override TensorData Read(ModelFile file) => attribute.Name switch
    {
        "value" => file.Read(new TensorSite(attribute.T, Where)),
        "sparse_value" => SparseTensor.ToDense(file, attribute.SparseTensor, Where),
        "value_floats" => TensorData.From<float>([.. attribute.Floats], attribute.Floats.Count),
        _ => TensorData.Scalar(attribute.F),
    };

    public override void Write(TensorData value)
    {
        switch (attribute.Name)
        {
            case "value":
                TensorSerializer.SetData(attribute.T, value);
                break;
            case "value_floats":
                attribute.Floats.Clear();
                attribute.Floats.AddRange(value.AsSpan<float>().ToArray());
                break;
            case "value_float":
                attribute.F = value.AsSpan<float>()[0];
                break;
            default:
                int at = node.Attribute.IndexOf(attribute);
                node.Attribute[at] = new AttributeProto
                {
                    Name = "value",
                    Type = AttributeProto.Types.AttributeType.Tensor,
                    T = TensorSerializer.Write(attribute.SparseTensor.Values.Name, value),
                };
                break;
        }
    }
}

/// <summary>Coefficients that an operator of ai.onnx.ml has among its attributes.</summary>
internal sealed class CoefficientsPlace(string name, NodeProto node, AttributeProto attribute)
    : FilePlace(name, $"attribute '{attribute.Name}' of {node.OpType} node '{ModelTensors.NameOf(node)}'")
{
    public override ElementType Type => ElementType.Float;

    public override IReadOnlyList<long> Dimensions => [attribute.Floats.Count];

    public override TensorData Read(ModelFile file) => TensorData.From<float>([.. attribute.Floats], attribute.Floats.Count);

    public override void Write(TensorData value)
    {
        attribute.Floats.Clear();
        attribute.Floats.AddRange(value.AsSpan<float>().ToArray());
    }
}
