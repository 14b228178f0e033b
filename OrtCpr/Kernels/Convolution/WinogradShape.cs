using System.Numerics;

namespace OrtCpr.Kernels;

/// <summary>How a convolution of 3 × 3 taps without strides is cut into tiles of 4 × 4 outputs.</summary>
/// <remarks>At a point of <see cref="Points"/>, tiles by channels are one matrix. Channels are rounded up to whole
/// vectors, with zeros after them. A block is some rows of tiles of all images, so that the matrices of a block stay near
/// the processor; with one block, outputs are taken some at a time, so that their weights do.</remarks>
internal readonly struct WinogradShape
{
    /// <summary>Points of a tile, so products.</summary>
    public const nint Points = WinogradSteps.Points * WinogradSteps.Points;

    /// <summary>Fewer channels than this on either side, and transforms cost what products save; found by measurement.</summary>
    private const nint FewestChannels = 32;

    /// <summary>Fewer tiles than this, and the weight's transform costs what products save.</summary>
    private const nint FewestTiles = 16;

    private const nint ManyChannels = 256;

    private const nint BlockElements = 1 << 21;

    private const nint WeightElements = 1 << 21;

    public nint BatchSize { get; private init; }

    public nint Inputs { get; private init; }

    public nint Outputs { get; private init; }

    public nint Height { get; private init; }

    public nint Width { get; private init; }

    public nint OutputHeight { get; private init; }

    public nint OutputWidth { get; private init; }

    public nint PadTop { get; private init; }

    public nint PadLeft { get; private init; }

    public nint TileRows => (OutputHeight + WinogradSteps.Tile - 1) / WinogradSteps.Tile;

    public nint TileColumns => (OutputWidth + WinogradSteps.Tile - 1) / WinogradSteps.Tile;

    /// <summary>Rows of tiles, over all images.</summary>
    public nint Rows => BatchSize * TileRows;

    /// <summary>Inputs of a matrix.</summary>
    public nint InputLanes => ToLanes(Inputs, nint.Max(Vector<float>.Count, 16));

    /// <summary>Outputs of a matrix.</summary>
    public nint OutputLanes => ToLanes(Outputs, Vector<float>.Count);

    /// <summary>Rows of tiles that are worked on at a time.</summary>
    public nint BlockRows =>
        nint.Clamp(BlockElements / (Points * nint.Max(1, TileColumns * (InputLanes + OutputLanes))), 1, nint.Max(1, Rows));

    /// <summary>Outputs, in whole vectors, whose weights are worked on at a time.</summary>
    public nint ChunkOutputs
    {
        get
        {
            nint fitting = WeightElements / (Points * nint.Max(1, InputLanes)) / Vector<float>.Count;
            return BlockRows < Rows ? OutputLanes : nint.Min(OutputLanes, nint.Max(1, (fitting - 1) | 1) * Vector<float>.Count);
        }
    }

    /// <summary>Tiles of a matrix of a whole block.</summary>
    public nint BlockTiles => TilesOf(BlockRows);

    /// <summary>The forward convolution.</summary>
    public static WinogradShape Of(in ConvShape s) => new()
    {
        BatchSize = s.BatchSize,
        Inputs = s.Channels,
        Outputs = s.Outputs,
        Height = s.Height,
        Width = s.Width,
        OutputHeight = s.OutputHeight,
        OutputWidth = s.OutputWidth,
        PadTop = s.PadTop,
        PadLeft = s.PadLeft,
    };

    /// <summary>The convolution of dy with the flipped weight, whose result is dx.</summary>
    public static WinogradShape OfInputGradient(in ConvShape s) => new()
    {
        BatchSize = s.BatchSize,
        Inputs = s.Outputs,
        Outputs = s.Channels,
        Height = s.OutputHeight,
        Width = s.OutputWidth,
        OutputHeight = s.Height,
        OutputWidth = s.Width,
        PadTop = WinogradSteps.Kernel - 1 - s.PadTop,
        PadLeft = WinogradSteps.Kernel - 1 - s.PadLeft,
    };

    /// <summary>Whether the geometry is one that tiles have, and the sizes are such that they pay.</summary>
    public static bool Pays(in ConvShape s)
    {
        if (s is not { KernelHeight: WinogradSteps.Kernel, KernelWidth: WinogradSteps.Kernel }) return false;
        if (s is not { StrideHeight: 1, StrideWidth: 1, DilationHeight: 1, DilationWidth: 1 }) return false;
        if (s.PadTop >= WinogradSteps.Kernel || s.PadLeft >= WinogradSteps.Kernel || nint.Min(s.Channels, s.Outputs) < FewestChannels)
            return false;
        WinogradShape tiles = Of(s);
        nint covered = tiles.Rows * tiles.TileColumns;
        // A tile is 36 products of 144, so at least half of it has to be wanted.
        return covered >= FewestTiles
            && 2 * s.BatchSize * s.OutputHeight * s.OutputWidth >= covered * WinogradSteps.Tile * WinogradSteps.Tile;
    }

    /// <summary>Tiles of a matrix with so many rows of tiles: one more than there are where those are an even number.</summary>
    public nint TilesOf(nint rows) => (rows * TileColumns) | 1;

    /// <summary>At a multiple of 4 KiB from each other the points of a tile would share a few places of the processor's
    /// cache. An odd number of tiles, and of vectors where they are long enough, keeps them apart: four times
    /// faster.</summary>
    private static nint ToLanes(nint channels, nint unit)
    {
        nint lanes = Vector<float>.Count;
        return channels < ManyChannels ? (channels + lanes - 1) / lanes * lanes : (((channels + unit - 1) / unit) | 1) * unit;
    }
}
