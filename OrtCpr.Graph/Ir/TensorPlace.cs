namespace OrtCpr.Graph.Ir;

/// <summary>Where a tensor of a model stands in its file, so that a new value can be written to the same place: an
/// initializer of any graph, the value of a Constant node, coefficients among a node's attributes.</summary>
/// <param name="name">Unique in the file: the tensor's own name where only one place has it.</param>
/// <param name="where">For messages: <c>initializer 'w'</c>, <c>Constant node 'w'</c>.</param>
/// <param name="isConstant">See <see cref="IsConstant"/>.</param>
internal abstract class TensorPlace(string name, string where, bool isConstant)
{
    public string Name { get; } = name;

    public string Where { get; } = where;

    /// <summary>True where the exporter wrote a constant of the program, which may or may not be a parameter.</summary>
    public bool IsConstant { get; } = isConstant;
}
